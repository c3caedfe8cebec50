"""What happens between an application's call and a plugin's: plugins, catalogue, credentials, attempts, streams."""
