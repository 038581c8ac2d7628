"""Training, calibration and export of the local models: ``python -m omniview.training``.

Imported only when somebody trains: it needs torch and the ``train`` extra.
"""
