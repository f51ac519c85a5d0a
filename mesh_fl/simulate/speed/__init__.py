"""How fast simulations are, beside a floor that nothing in numpy goes far below."""
