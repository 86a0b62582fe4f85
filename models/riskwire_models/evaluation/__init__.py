"""Evaluation of an ONNX file: its predictions, its scores on data sets, and its calibration."""
