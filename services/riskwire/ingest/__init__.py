"""ingest: from feeds and archives to articles.

    feedlist, catalogue            a list of feeds as a file; the list that is polled, merged with what is done by hand
    publication                    how it gets onto the topic `feeds`
    poll                           the stage: run_ingest
        roster, schedule           which feed is due, and what a poll changes (pure)
        fetch, address             one polite, bounded GET; which addresses may be reached
        reader, reader_process     documents are parsed in a process of their own
            reading, documents, jsonfeed, sitemap, entry, clean, identity, language, times (pure)
        admission, memory          which items are new, and in which version (pure)
    replay, archive                an archive instead of feeds

Import from the modules: the reader process must not load what it does not need.
"""
