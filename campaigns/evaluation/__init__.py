"""The closed loop: what customers bought, and what calling them was worth."""
