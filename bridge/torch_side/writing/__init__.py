"""From the graph to a plan, and from the plan to the module's source."""
