"""DVC calls, the champion's pin and the ledger of promotions: what has a clock and a commit lives here."""
