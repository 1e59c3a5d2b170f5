import subprocess
import sys

HEAVY = ("datasets", "pyarrow", "robosuite", "accelerate", "av", "mujoco", "pandas", "lerobot")
LIGHT = ("arm", "deploy", "fit", "gate", "log", "loop", "profile", "scripted")


def test_a_robot_computer_needs_no_dataset_simulator_or_training_stack() -> None:
    imports = ", ".join([f"robowm.robot.{name}" for name in LIGHT] + ["robowm.policy.controller"])
    code = f"import sys, {imports}; print(*[m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_recipes_are_light_too() -> None:
    code = (
        "import sys; from robowm import recipes; "
        "[recipes.load(n) for n in recipes.names('real_robot')]; "
        f"print(*[m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_emulated_arm_brings_mujoco_only_when_it_is_connected() -> None:
    code = (
        "import sys; from robowm.robot.so101_emulated import SO101Emulated, SO101EmulatedConfig; "
        "r = SO101Emulated(SO101EmulatedConfig()); print('mujoco' in sys.modules); "
        "r.connect(); print('mujoco' in sys.modules, 'datasets' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "False"]
