"""Lists come in: from files, folders, standard input and databases, row by row, with each row's fate told."""
