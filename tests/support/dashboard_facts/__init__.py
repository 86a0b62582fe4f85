"""What each panel of each dashboard must answer after the replay that `tests/integration/grafana` makes.

The replay is the demo's: the crisis of Norvane Motors begins on 31 March 2031. On 21 April, when everything is calm, it
files for bankruptcy, so that one page is open at the end.
"""
