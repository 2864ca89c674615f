"""One module a lesson: its questions, in the order in which they are asked, each with a reason for
every option.
"""
