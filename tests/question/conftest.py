from tests.databases import engine, postgres_cluster, url

__all__ = ["engine", "postgres_cluster", "url"]
