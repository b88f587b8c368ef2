"""Writes gelu.json: x * P(N(0,1) <= x), to 17 digits of 60."""
import json
import mpmath

mpmath.mp.dps = 60
xs = ["-30", "-10", "-5", "-3", "-2.2", "-1", "-0.1", "0", "0.001", "0.5", "1", "2.2", "2.5", "3.2", "6", "40"]
rows = [[float(x), float(mpmath.nstr(mpmath.mpf(x) * mpmath.ncdf(mpmath.mpf(x)), 17))] for x in xs]
with open("gelu.json", "w") as out:
    out.write("[" + ", ".join(f"[{x!r}, {y!r}]" for x, y in rows) + "]\n")
