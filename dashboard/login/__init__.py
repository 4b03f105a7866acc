"""Who may see the dashboard, and in which role: accounts, signed cookies, and the gate before Streamlit."""
