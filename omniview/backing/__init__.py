"""What stands behind the window: the objects that the app hands it, in the shapes that the window names."""
