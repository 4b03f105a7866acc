"""Login to the dashboard: accounts, signed cookies, the gate before Streamlit."""
