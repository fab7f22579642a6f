"""The demo clinic: six made-up patients, their treatments, Consents and synthetic photographs."""
