"""The only SQL: tables, migrations, the unit of work and the queries behind every claim and report.

It may not call Stripe or choose what happens to a refund; nothing outside it commits a transaction
or sees a database session.
"""
