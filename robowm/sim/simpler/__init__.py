"""SIMPLER's WidowX tasks on ManiSkill3: what they need, layouts, scene, expert, environment."""
