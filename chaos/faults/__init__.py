"""The kinds of fault, one file each. Pure: no kind knows of expectations, nor how its part gets into a VirtualService and out of it."""
