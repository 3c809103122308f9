"""Weights into a module of the user's own, and back."""
