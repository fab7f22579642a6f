"""Where everything is put together: settings, command line, processes, migrations."""
