"""The rules. Pure: objects in, hits out; no file is read here.

The staging rules of a run look at one object that is about to be written into a cluster that can be asked. These look at
whatever a repository holds, and know nothing else; so an absence is only told where enough is there to know.
"""
