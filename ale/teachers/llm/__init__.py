"""A language model as a teacher: it reads what the annotators read, and abstains rather than guess."""

from ale.teachers.llm.options import LLMOptions
from ale.teachers.llm.shots import EMPTY, Shot, ShotSet, contrast_shots, make_shots
from ale.teachers.llm.size import upper_bound
from ale.teachers.llm.teacher import LLMTeacher

__all__ = [
    "EMPTY",
    "LLMOptions",
    "LLMTeacher",
    "Shot",
    "ShotSet",
    "contrast_shots",
    "make_shots",
    "upper_bound",
]
