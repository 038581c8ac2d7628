"""The Qt window. Widgets show state and emit intents; they hold no truth and never wait."""
