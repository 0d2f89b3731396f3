"""Detectors with weights: ultralytics (YOLO, YOLO-World, YOLOE), ONNX files with YOLO heads, and HTTP."""
