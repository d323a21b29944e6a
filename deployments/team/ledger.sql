-- The ledger's database, beside Prefect's own.
CREATE DATABASE delivery;
