"""Unique device identifiers: GS1, HIBCC and ICCBBA (21 CFR 830; EU MDR Annex VI part C) to device, lot and dates."""
