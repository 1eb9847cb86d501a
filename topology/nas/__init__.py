"""What runs on a NAS: the command `nas`, its agent and what the other NAS may ask of it.

Standard library only: rendered into /usr/local/lib/topology/nas of every NAS. What it works with is rendered too,
/etc/topology/nas.json.
"""
