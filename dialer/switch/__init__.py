"""The door to the telephone switch: typed events in, typed commands out, AMI behind it."""
