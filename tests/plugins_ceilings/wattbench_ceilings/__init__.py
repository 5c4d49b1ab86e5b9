"""A backend with made-up ceilings; only on the path of the tests that need it."""
