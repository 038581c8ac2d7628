"""Files in and out. Orientation, photometric interpretation, axis order and spacing are settled here."""
