"""Mutation and property-based fuzzing of everything that reads a file: `make fuzz`, docs/untrusted_files.md.

targets     a valid example of every input, made by the writers of the tests, and what reads it
formats     pickle, MAT, HDF5, npz, JSON, ... as trees of values and back
mutations   damage to bytes and to trees
cases       one case: which damage, what the reader did, whether that is allowed
worker      cases of one target in a process of its own, within bounds of time and memory
__main__    all targets side by side, and the table at the end
"""
