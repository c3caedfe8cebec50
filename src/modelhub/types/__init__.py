"""The words of modelhub: plain values without behaviour beyond their own fields.

They import nothing that costs time.
"""
