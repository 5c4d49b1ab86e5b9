"""A backend that says when it works and a sensor that answers late, for wattbench's own tests."""
