"""robosuite's Sawyer, which MuJoCo 3.8 would neither load nor let turn."""

import xml.etree.ElementTree as ElementTree


def mend_sawyer() -> None:
    """From now on robosuite's "Sawyer" loads, and turns freely about its base.

    Two meshes of its head are flat, and MuJoCo refuses volumes of nothing: they get a shell's, and
    since masses are given elsewhere nothing else changes. The link that turns on the base touches
    it. MuJoCo forgives touching neighbours, but not where one of them is fixed to the world:
    friction held the arm, and its hand stayed 5 cm beside where it was told to go.
    """
    from robosuite.models.robots import Sawyer as Published

    class Sawyer(Published):  # robosuite's metaclass puts it in the place of the other by its name
        def __init__(self, idn: int = 0) -> None:
            super().__init__(idn)
            for mesh in self.asset.findall("mesh"):
                mesh.set("inertia", "shell")
            neighbours = {
                "body1": f"{self.naming_prefix}right_arm_base_link",
                "body2": f"{self.naming_prefix}right_l0",
            }
            ElementTree.SubElement(self.contact, "exclude", neighbours)
