"""Export of a checkpoint to a bundle: ONNX graphs, quantisation, quality gate, manifest, card."""
