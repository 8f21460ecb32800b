"""What somebody tries who wants more than they have."""
