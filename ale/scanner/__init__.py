"""The fused byte scanner: a linear classifier that reads texts as bytes, distilled from the encoder student.

No token list, no sparse matrix, no Python string: hashes of words and of pairs of words are looked up in a
table of weights while the bytes pass by. Some thousand times as fast as the encoder, a point or two less
accurate. Needs the extra [index] (numba).
"""
