"""Encyclopedias of HatCat (2025): its HDF5 files read, and written."""
