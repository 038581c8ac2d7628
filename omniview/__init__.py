"""OmniView: one mask from a local specialist and an omnimodel, fused by how far each can be trusted.

Importing the package stays cheap: no Qt, no torch, no ONNX Runtime. Not a medical device.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("omniview")
except PackageNotFoundError:  # run from an unpacked source tree that was never installed
    __version__ = "0+unknown"
