"""The staff's dashboard: reads the files of data/ and shows them. Imports nothing of ocpp_server or simulator."""
