"""Other people's recipes, from their descriptions or in their own packages, to be measured beside ours."""
