"""The ingest stage: turns feeds and archives into articles.

    feeds/          the feed list, the polling schedule, and the status of feeds
    fetching/       one bounded HTTP GET; which addresses may be reached
    parsing/        from the bytes of a document to clean, identified items; runs in a separate process
    dates/          the dates that publishers write
    replay/         publishes an archive instead of feeds
    stage           the stage: polls the feeds of one partition and publishes articles
    admission       decides which items become articles, with which version and times (pure)
    memory          the versions of items that were published (state)
    poll_reports    what logs and metrics say of a finished poll
    article_isolation   publishes articles one by one after a step was refused
    clock           the clock that stamps `seen_at`

Import from the modules: the parser process must not load what it does not need.
"""
