"""The pure heart: types, geometry, fusion, uncertainty, quality, metrics. numpy, scipy and OpenCV only."""
