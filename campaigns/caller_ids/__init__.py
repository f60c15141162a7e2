"""What customers see of who calls: pools of numbers by region, their rotation and rest, and how they are answered."""
