"""What `gog.pipelines.views.database` puts over a run: the answers that people ask for, macros, and what each column means."""
