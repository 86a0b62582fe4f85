"""Reads the dates that publishers write: strictly, from the whole text, or not at all. Pure.

    text        the forms of dates and times, and the time that a text states
    zones       offsets of time zones
    words       names of months and weekdays
    order       whether a document writes the day or the month first
    entries     the dates of the entries of a document

Import from the modules.
"""
