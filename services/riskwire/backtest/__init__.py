"""The back-test: the stages on an archive in event time, without a bus, and how well the alerts tell a list of events.

- `readings`, `cached_engine`: what the model read, on disk, so that each sentence is read once for each bundle.
- `signal_log`: the signals of an archive, by the infer stage itself; `alert_run`: the alerts on them, by the book.
- `event_list`, `event_names`, `matching`, `figures`: the events that should be reported, and which were.
- `rivals/`: simpler alarms at the same number of notifications; `sample`: notifications to read blindly.
- `report/`: the page and its drawings.
"""
