"""Training, calibration and export of the local models: ``omniview train``.

Imported only when somebody trains: it needs torch and the ``train`` extra.
"""
