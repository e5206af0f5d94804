"""Writes a scan's report: text, JSON, SARIF, JUnit, annotations, HTML."""
