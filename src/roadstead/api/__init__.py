"""The admin REST API, `/api/v2.0`: Harbor's paths and shapes, one file for each of its tags.

A handler translates and nothing else: typed input, one call of a service, the shape of the answer.
"""
